"""Where new codes and new rows are drawn from."""
