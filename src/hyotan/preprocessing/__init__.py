"""What kind of rows the data are: checked, encoded to the model's numbers, and decoded back."""
