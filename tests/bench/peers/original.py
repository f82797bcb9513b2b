"""The whole run of the original system beside `albumctl select`, with the same networks, and with what is built in.

    make bench-original ORIGINAL=FOLDER [PHOTOS=FOLDER]

ORIGINAL is a checkout of the original (it has sim_bench/album). Nothing in it is changed, and nothing is fetched for it. Its networks
get weights that follow from their names (tests/reference/formula.py), in files that both sides read; where it would download
DINOv2, it is handed these. Without PHOTOS, 100 photos of 12 megapixels are drawn from fixtures/album. Each run starts with
nothing remembered. Faces are found by the same networks of MediaPipe: `albumctl models pull faces` first.
"""
import argparse
import importlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# In front of this folder, which has a networks.py, too.
sys.path.insert(0, str(ROOT / "tests/reference"))

TURNS = int(os.environ.get("TURNS", "3"))
PHOTOS = int(os.environ.get("COUNT", "100"))
RATED, SIAMESE, DINOV2 = "rated.pt", "siamese.pt", "dinov2_base.safetensors"


def write_weights(folder):
    """The three networks of the original, as its training writes them and as DINOv2 is published."""
    import networks
    import safetensors.torch
    import torch

    def checkpoint(name, net, config):
        state = networks.fill(net).state_dict()
        said = {"epoch": 0, "val_spearman": 0.0, "val_acc": 0.0}
        torch.save(said | {"model_state_dict": state, "config": config}, folder / name)

    size = {"transform": {"resize_size": 256, "crop_size": 224}}
    rated = {"model": {"backbone": "resnet50", "pretrained": False, "mlp_hidden_dims": [256], "dropout": 0.2, "activation": "relu", "output_mode": "regression"}}
    checkpoint(RATED, networks.Rated(1), rated | size)
    siamese = {"model": {"cnn_backbone": "resnet50", "pretrained": False, "mlp_hidden_dims": [], "dropout": 0.0, "activation": "relu"}}
    checkpoint(SIAMESE, networks.Ranker(networks.positional_resnet50(), 2048, [], None), siamese)
    dinov2 = networks.fill(networks.dinov2(768, 12)).state_dict()
    safetensors.torch.save_file(dinov2, folder / DINOV2)


def theirs(repository, weights, photos, work):
    """One run of the original's AlbumService; prints its seconds, without those of importing libraries, and of its stages."""
    sys.path.insert(0, str(repository))
    # It keeps thumbnails and features below these.
    os.environ["HOME"] = str(work)
    os.chdir(work)
    import networks
    import torch
    import yaml

    # The only download: our checkpoints say that ImageNet's weights are not needed.
    dinov2 = networks.ClassToken(networks.dinov2(768, 12))
    torch.hub.load = lambda *_, **__: dinov2
    # Imported beside DINOv2, unused here, and in want of libraries for recognising faces and places.
    for name, method in (("face_embeddings", "FaceEmbeddingMethod"), ("landmark_embeddings", "LandmarkEmbeddingMethod")):
        try:
            importlib.import_module(f"sim_bench.feature_extraction.{name}")
        except ImportError:
            sys.modules[f"sim_bench.feature_extraction.{name}"] = types.SimpleNamespace(**{method: None})
    from sim_bench.album.services.album_service import AlbumService

    of_theirs = repository / "configs/global_config.yaml"
    config = yaml.safe_load(of_theirs.read_text()) if of_theirs.is_file() else {}
    config |= {"device": "cpu", "cache_dir": str(work / "cache")}
    config["quality_assessment"] = {"ava_checkpoint": str(weights / RATED), "siamese_checkpoint": str(weights / SIAMESE)}
    album = config.setdefault("album", {})
    # Nothing is sorted out by ratings that mean nothing.
    album["quality"] = {"min_iqa_score": 0, "min_ava_score": 0, "min_sharpness": 0}
    album.setdefault("portrait", {})["require_eyes_open"] = False
    album.setdefault("clustering", {}).update({"method": "hdbscan", "feature_method": "dinov2", "min_cluster_size": 3})
    started = time.time()
    result = AlbumService(config).organize_album(photos, work / "album")
    stages = {timing.name: round(timing.duration_sec, 2) for timing in result.telemetry.timings}
    print(json.dumps({"seconds": time.time() - started, "stages": stages, "picked": len(result.selected_images)}))


def run(command, work):
    """The last line that a command prints, and the seconds that it took."""
    started = time.time()
    done = subprocess.run(command, capture_output=True, text=True, cwd=work)
    took = time.time() - started
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return took, done.stdout.splitlines()


def ours(albumctl, weights, photos, same_networks):
    command = [albumctl, "select", photos, "--no-cache", "--json"]
    if same_networks:
        values = {
            "quality_assessment.ava_checkpoint": weights / RATED,
            "quality_assessment.siamese_checkpoint": weights / SIAMESE,
            "album.clustering.feature_method": "dinov2-b",
            "album.clustering.feature_checkpoint": weights / DINOV2,
            "album.quality.min_iqa_score": 0,
            "album.quality.min_ava_score": 1,
            "album.quality.min_sharpness": 0,
            "album.portrait.require_eyes_open": "false",
        }
        command += ["--config", ROOT / "configs/original.yaml"]
        command += [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    return command


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("original", type=pathlib.Path)
    parser.add_argument("albumctl", type=pathlib.Path)
    parser.add_argument("--photos", type=pathlib.Path)
    arguments = parser.parse_args()
    original, albumctl = arguments.original.resolve(), arguments.albumctl.resolve()
    if not (original / "sim_bench/album").is_dir():
        sys.exit(f"{original}: no checkout of the original: it has no sim_bench/album")
    with tempfile.TemporaryDirectory(prefix="albumctl-original-") as folder:
        folder = pathlib.Path(folder)
        write_weights(folder)
        photos = arguments.photos.resolve() if arguments.photos else enlarged(folder / "photos")
        found = {"the original": [], "albumctl, the same networks": [], "albumctl, what is built in": []}
        stages = []
        for turn in range(TURNS):
            work = folder / f"theirs{turn}"
            work.mkdir()
            _, said = run([sys.executable, __file__, "--theirs", original, folder, photos, work], work)
            last = json.loads(said[-1])
            found["the original"].append(last["seconds"])
            stages.append(last["stages"])
            for name, same in (("albumctl, the same networks", True), ("albumctl, what is built in", False)):
                took, _ = run(ours(albumctl, folder, photos, same), folder)
                found[name].append(took)
            print(f"turn {turn + 1}: " + ", ".join(f"{name} {took[-1]:.1f} s" for name, took in found.items()), file=sys.stderr)
        count = sum(1 for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    tell(found, stages, count)


def enlarged(folder):
    from enlarged_photos import photos

    return photos(folder, PHOTOS)


def tell(found, stages, count):
    import importlib.metadata as packages

    versions = " ".join(f"{name} {packages.version(name)}" for name in ("torch", "mediapipe", "opencv-python-headless", "hdbscan"))
    print(f"{count} photos, {os.cpu_count()} cores ({platform.machine()}), {TURNS} turns, medians; {versions}\n")
    theirs = statistics.median(found["the original"])
    print("| | seconds | times as fast |\n|---|---:|---:|")
    for name, took in found.items():
        print(f"| {name} | {statistics.median(took):.1f} | {theirs / statistics.median(took):.1f} |")
    print("\nThe original's stages: " + ", ".join(f"{name} {statistics.median(turn[name] for turn in stages):.1f} s" for name in stages[0]))


if sys.argv[1:2] == ["--theirs"]:
    theirs(*map(pathlib.Path, sys.argv[2:6]))
else:
    main()
