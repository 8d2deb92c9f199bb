"""What came of a run as a page, and as the text of a pull request (SPEC 10.4): state and events → values → templates.

Nothing here reads a file, a clock or a repository; whoever asks hands in what is to be shown, and how text of others is
made fit to be shown. Import the module that is needed: this one stays empty, for start-up is paid by every command.
"""
