"""What every room stands on: errors, files, output folders, Java and Ray."""
