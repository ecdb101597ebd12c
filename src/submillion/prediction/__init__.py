"""A trained classifier, loaded: texts in, labels and probabilities out."""

from submillion.prediction.load import load_adapter, load_predictor
from submillion.prediction.predictor import Predictor

__all__ = ["Predictor", "load_adapter", "load_predictor"]
