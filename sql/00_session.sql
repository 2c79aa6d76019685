-- Functions call each other across files, whatever the order. tests/test_house_rules.py checks all bodies in the end.
set check_function_bodies = off;
