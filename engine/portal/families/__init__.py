"""What families reach: the app's API.

guards        who is signed in
api/          one file for each part of it
"""
