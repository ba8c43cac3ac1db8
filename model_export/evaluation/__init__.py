"""How well models do: scores, metrics, tables, robustness, attackers."""
