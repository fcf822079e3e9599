"""What runs inside the sandboxes: the judge, and the code that it judges.

The two run in two sandboxes and share one socket. The judge has the tests; the candidate has the
model's code, and learns of the tests nothing but the arguments that it is called with. What it
sends back can only be plain values, so a right verdict takes right answers.

These files see the standard library and each other, nothing else of the project.
"""
