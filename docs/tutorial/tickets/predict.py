"""Load the model that is named on the command line and print what it answers."""

import sys

import joblib

QUESTIONS = [
    "why was my card charged after I cancelled the subscription",
    "every page returns an error and requests time out",
    "how do I export a project as a spreadsheet",
]


def main() -> None:
    """Print each question with the answer and its probability."""
    model = joblib.load(sys.argv[1])
    for text, row in zip(QUESTIONS, model.predict_proba(QUESTIONS), strict=True):
        best = row.argmax()
        print(f"{model.classes_[best]:<9} {row[best]:.6f}  {text}")


if __name__ == "__main__":
    main()
