//! Certificates for tests, by `openssl`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// An authority in `folder`, and a certificate of the server `who` for `names`, signed by it; none where there is no
/// `openssl`.
pub fn certificates(folder: &Path, who: &str, names: &str) -> Option<()> {
    fs::create_dir_all(folder).unwrap();
    let openssl = |args: &str| {
        let output = Command::new("openssl").args(args.split_whitespace()).current_dir(folder).output().ok()?;
        assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    fs::write(folder.join("names"), format!("subjectAltName={names}\n")).unwrap();
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=nobody -days 2"))?;
    openssl(&format!("req {key} -keyout {who}.key -out {who}.csr -subj /CN={who}"))?;
    openssl(&format!(
        "x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {who}.pem"
    ))
}
