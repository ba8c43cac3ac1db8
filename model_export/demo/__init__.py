"""The model in the box: forged clips, training, evaluation by person, model card."""
