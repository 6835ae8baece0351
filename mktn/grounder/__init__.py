"""Sentences about one's own videos, answered by a trained run: `mktn ground`, `mktn export`.

`parts` finds what a run was made with, `bundle` keeps it in one folder, `grounder` answers;
`text` and `own_video` make of new sentences and videos what training read of its own.
"""
