"""What a run says about itself in numbers: the figures, and the thresholds that judge them."""
