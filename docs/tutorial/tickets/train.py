"""Train a classifier of support tickets and save it as ``tickets.joblib``."""

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

TICKETS = {
    "billing": [
        "I was charged twice for my subscription this month",
        "the invoice shows the wrong amount and the wrong address",
        "please refund the payment that was taken after I cancelled",
        "my card was declined although the bank says it is fine",
        "how do I change the card that you charge every month",
        "the discount is missing from the last invoice",
    ],
    "outage": [
        "the service is down and every request times out",
        "we see error 503 on all pages since this morning",
        "the dashboard does not load and the status page is green",
        "requests fail with a timeout from the European region",
        "nothing works, the site returns an error for every page",
        "the application crashes when it starts since the update",
    ],
    "question": [
        "where can I find the documentation of the export function",
        "is there a way to invite a colleague to my project",
        "how can I export all of my data as a spreadsheet",
        "which plan do I need for single sign on",
        "can I move a project from one team to another team",
        "does the application work on a tablet",
    ],
}


def main() -> None:
    """Fit the pipeline and write it."""
    texts = [text for group in TICKETS.values() for text in group]
    labels = [label for label, group in TICKETS.items() for _ in group]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10.0))
    model.fit(texts, labels)
    # scikit-learn 1.4 keeps a memory address here: without it, training twice gives the same bytes.
    del model[0]._stop_words_id
    joblib.dump(model, "tickets.joblib")


if __name__ == "__main__":
    main()
