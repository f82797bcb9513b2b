"""Times MediaPipe's own Python pipeline and ours on the same pictures, photo by photo in turn, and prints medians.

    python3.11 -m venv mp && mp/bin/pip install mediapipe==0.10.21
    cargo bench --bench portrait --no-run          # prints the path of the executable
    taskset -c 0 mp/bin/python tests/bench/peers/mediapipe_faces.py EXECUTABLE PICTURE...

MediaPipe does what the original asks of it: the full-range detector on every photo, the mesh with attention where
exactly one face was found. With --everything it runs the mesh (up to five faces) wherever there is a face, which is what
we do. Decoding is not timed on either side. `taskset` keeps both to one core.
"""

import statistics
import subprocess
import sys
import time

import cv2
import mediapipe as mp


def main():
    arguments = [a for a in sys.argv[1:] if a != "--everything"]
    everything = "--everything" in sys.argv
    executable, *paths = arguments
    ours = subprocess.Popen([executable, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    detector = mp.solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
    mesh = mp.solutions.face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=5 if everything else 1,
        refine_landmarks=True,
        min_detection_confidence=0.5,
    )

    def theirs(image):
        start = time.perf_counter()
        faces = detector.process(image).detections or []
        if (faces if everything else len(faces) == 1):
            mesh.process(image)
        return (time.perf_counter() - start) * 1e3, len(faces)

    pictures = [(path, cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)) for path in paths]
    times = {path: ([], []) for path in paths}
    for turn in range(11):
        for path, image in pictures:
            their_time, their_faces = theirs(image)
            ours.stdin.write(path + "\n")
            ours.stdin.flush()
            our_time, our_faces = ours.stdout.readline().split()
            assert int(our_faces) == their_faces, f"{path}: {our_faces} faces here, {their_faces} there"
            # The first turn warms both up.
            if turn:
                times[path][0].append(their_time)
                times[path][1].append(float(our_time))
    print(f"mediapipe {mp.__version__}; medians of 10 in turn, ms")
    medians = {path: tuple(statistics.median(t) for t in pair) for path, pair in times.items()}
    for path, (their, our) in medians.items():
        print(f"{path.rsplit('/', 1)[-1]:40} mediapipe {their:6.2f}  albumctl {our:6.2f}  ratio {their / our:5.2f}")
    their, our = (statistics.median(m[i] for m in medians.values()) for i in (0, 1))
    print(f"{'median':40} mediapipe {their:6.2f}  albumctl {our:6.2f}  ratio {their / our:5.2f}")


if __name__ == "__main__":
    main()
