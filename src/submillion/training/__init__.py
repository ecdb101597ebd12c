"""From a model and splits to a run folder."""
