"""Blastocysts (Kragh et al. 2019): simulator, time-lapse frames, cropper and crops, recordings, outcome.

It plugs into the rest as a stranger's package could: a data source, stages of the chain and sections of a report.
"""
