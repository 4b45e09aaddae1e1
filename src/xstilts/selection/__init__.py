"""Selection: which intermediate task to train on before a target, from short trainings and transferability measures."""
