"""The only doors to the network: `http` for APIs, `files` for folders. Import the door you need by its
module.
"""
