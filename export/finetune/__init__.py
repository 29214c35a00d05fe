"""Contrastive fine-tuning of any open_clip model on a shop's own pictures and words."""
