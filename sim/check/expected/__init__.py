"""What the lake must hold, computed from the node files alone."""
