"""One trainer for every model: it knows only ``objective(batch, progress) -> Terms``."""
