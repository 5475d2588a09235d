"""What typedflow costs, each figure beside what plain Python costs for the same in the same run."""
