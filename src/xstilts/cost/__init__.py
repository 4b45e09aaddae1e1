"""Cost: FLOPs, memory, time and energy of trainings and predictions, counted or measured."""
