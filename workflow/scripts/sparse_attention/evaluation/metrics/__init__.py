"""The metrics of predicted supports, one file each; `metrics.facts` finds them and what they say of themselves."""
