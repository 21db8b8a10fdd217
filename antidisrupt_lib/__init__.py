"""Anti-Disrupt: disruption, purification and detection of deepfakes, measured from end to end."""
