"""Read run folders and say what they show: files in, tables, figures and sentences out."""
