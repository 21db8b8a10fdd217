"""Studies: notebooks as stages, run once, in order, with manifests that say how each result was made.

`graph.load_study` reads a study file into nodes, `runner.run` runs those that are not done, `report.write_report` shows
what stands. This room knows notebooks and files, never tensors.
"""
