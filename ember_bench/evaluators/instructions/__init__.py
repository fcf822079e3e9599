"""IFEval: instructions that a program can check, and the evaluator that checks them."""
