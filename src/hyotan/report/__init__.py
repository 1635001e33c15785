"""One HTML page of a run or a study: readable offline, without JavaScript, in dark and light, printable."""
