"""Published figures beside the model: validation, calibration, and what the evidence covers."""
