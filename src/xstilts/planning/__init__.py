"""Planning: what a study will take (trainings, FLOPs, GPU-hours, memory), before anything is built."""
