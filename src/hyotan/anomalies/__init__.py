"""What makes a row odd, in numbers: scores of codes and errors, and how often a score as odd is met by chance."""
