"""The detector of anomalies: its members, its calibration, and what makes a row anomalous."""

from hyotan.anomalies.detector import AnomalyDetector
from hyotan.anomalies.detector_files import load, load_detector

__all__ = ["AnomalyDetector", "load", "load_detector"]
