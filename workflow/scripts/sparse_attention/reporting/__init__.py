"""The report, one HTML file that tells what was run and what came out."""
