"""Times MediaPipe's own Python pipeline and ours on the same pictures, photo by photo in turn, and prints medians.

    make bench-peers

or, with a python that has mediapipe 0.10.21: `python mediapipe_faces.py [--everything] [PICTURE...]`. Without pictures
those of ../shared/data/faces_golden are taken.

MediaPipe does what the original asks of it: the full-range detector on every photo, the mesh with attention where
exactly one face was found. With --everything it runs the mesh (up to five faces) wherever there is a face, which is what
we do. Decoding is not timed on either side. Both are kept to one core. Beside the time on the clock it prints
processor time, which means the same on a machine that does other things meanwhile.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import cv2
import mediapipe as mp


def our_bench():
    """Builds the bench `portrait`; the path of its executable."""
    command = [os.environ.get("CARGO", "cargo"), "bench", "--bench", "portrait", "--no-run", "--message-format", "json"]
    messages = map(json.loads, subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines())
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "portrait" and m.get("executable"))


def main():
    everything = "--everything" in sys.argv
    golden = pathlib.Path(__file__).parents[4] / "shared/data/faces_golden/png"
    paths = [a for a in sys.argv[1:] if a != "--everything"] or sorted(map(str, golden.glob("*.png")))
    if not paths:
        sys.exit(f"skipped: no pictures given, and none in {golden}")
    executable = our_bench()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ours = subprocess.Popen([executable, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    detector = mp.solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
    mesh = mp.solutions.face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=5 if everything else 1,
        refine_landmarks=True,
        min_detection_confidence=0.5,
    )

    def theirs(image):
        start, cpu = time.perf_counter(), time.process_time()
        faces = detector.process(image).detections or []
        if (faces if everything else len(faces) == 1):
            mesh.process(image)
        return (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3, len(faces)

    def ours_cpu():
        """Milliseconds our process has run: one thread."""
        with open(f"/proc/{ours.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e6

    pictures = [(path, cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)) for path in paths]
    times = {path: ([], [], [], []) for path in paths}
    for turn in range(11):
        for path, image in pictures:
            their_time, their_cpu, their_faces = theirs(image)
            before = ours_cpu()
            ours.stdin.write(path + "\n")
            ours.stdin.flush()
            our_time, our_faces = ours.stdout.readline().split()
            our_cpu = ours_cpu() - before
            assert int(our_faces) == their_faces, f"{path}: {our_faces} faces here, {their_faces} there"
            # The first turn warms both up, and decodes on our side.
            if turn:
                for kept, value in zip(times[path], (their_time, float(our_time), their_cpu, our_cpu)):
                    kept.append(value)
    print(f"mediapipe {mp.__version__}; medians of 10 in turn, ms")
    medians = {path: tuple(statistics.median(t) for t in each) for path, each in times.items()}
    medians["median"] = tuple(statistics.median(m[i] for m in medians.values()) for i in range(4))
    for path, (their, our, their_cpu, our_cpu) in medians.items():
        print(
            f"{path.rsplit('/', 1)[-1]:34} mediapipe {their:6.2f} albumctl {our:6.2f} ratio {their / our:5.2f}"
            f" | processor {their_cpu:6.2f} {our_cpu:6.2f} ratio {their_cpu / our_cpu:5.2f}"
        )


if __name__ == "__main__":
    main()
