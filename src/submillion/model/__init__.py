"""From a plan to a model, and from a model to a folder and back."""
