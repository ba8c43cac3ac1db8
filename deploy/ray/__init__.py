"""The service on Ray Serve: the same app, its networks in a deployment of their own.

``docs/ray.md`` says how to start it and what it promises.
"""
