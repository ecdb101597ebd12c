"""What of a run can answer."""

CHEAPEST_FIRST = ("tfidf_svm", "probe_mean", "probe_first", "adapter")
"""What cross-validation chooses from: TF-IDF needs no encoder, a probe no adapter."""

ANSWERING = ("recommended", CHEAPEST_FIRST[-1], *CHEAPEST_FIRST[:-1])
"""What may be asked to answer: one of these, or whichever was recommended."""
