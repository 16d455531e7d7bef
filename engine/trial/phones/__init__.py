"""A local FCM and APNs that speak the real protocols: for trial, demonstration and tests.

They check what the real ones check, keep what they accept, honour tags and collapse ids, and show
it, so that what a person would see on each phone can be counted. They misbehave as the real ones
can when they are told to (`catalogue`). Start at `phones.Phones`.
"""
