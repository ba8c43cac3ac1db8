"""Making forged faces: training material and demonstrations, numpy and OpenCV only."""

from service.forge.clip import Donor, ForgedClip, Forger, forge
from service.forge.recipe import FAMILIES, Family, Recipe, draw_recipe

__all__ = [
    "FAMILIES",
    "Donor",
    "Family",
    "ForgedClip",
    "Forger",
    "Recipe",
    "draw_recipe",
    "forge",
]
