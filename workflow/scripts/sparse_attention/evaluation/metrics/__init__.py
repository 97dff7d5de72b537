"""The metrics of predicted supports, one file each; `metrics.facts` finds them and reads their attributes."""
