"""Where bytes live: content-addressed objects, and the bundles of an author's code.

Everything here is named by what it holds, written once and checked whenever it is read. Nothing here knows what
the bytes mean, and nothing here executes them.
"""
