"""What a person learns from specs and runs: advice, probes, statistics, remarks, baselines, reports."""
