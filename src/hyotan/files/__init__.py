"""Files and folders: bytes to settings and tensors and back, atomic writes, locks; knows no model."""
