{
  description = "Names the photos of a folder that belong in the album, and says why";

  inputs.nixpkgs.url = "nixpkgs";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
      package =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = "albumctl";
          version = manifest.workspace.package.version;
          src = ../.;
          cargoLock.lockFile = ../Cargo.lock;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          # Tests want a home, shells and many photos; they run before a release.
          doCheck = false;
          postInstall = ''
            $out/bin/albumctl man --dir pages
            installManPage pages/*.1
            for shell in bash fish zsh; do $out/bin/albumctl completions $shell >albumctl.$shell; done
            installShellCompletion albumctl.{bash,fish,zsh}
          '';
          meta = {
            description = manifest.package.description;
            license = with pkgs.lib.licenses; [ mit asl20 ];
            mainProgram = "albumctl";
          };
        };
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: {
        default = package nixpkgs.legacyPackages.${system};
      });
    };
}
