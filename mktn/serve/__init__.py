"""`mktn serve`: a page on this machine that answers sentences about videos and plays the moments.

`guard` lets in who may come, `uploads` and `videos` hold what is asked about, `jobs` lets one at a
time compute, `service` answers, `page` is what people see; `routes` carries files both ways.
"""
