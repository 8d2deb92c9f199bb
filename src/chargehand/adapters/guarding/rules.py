"""Every rule by its name, with the reason that a person is told. The reference page is tested against this table."""

from __future__ import annotations

__all__ = ["RULES"]

RULES = {
    # files
    "delete_outside": "It deletes something outside the workspace.",
    "delete_recursive": "It deletes a folder with everything in it, or whatever a pattern finds.",
    "delete_unknown": "It deletes something that cannot be told from the command.",
    "overwrite_outside": "It writes or changes something outside the workspace.",
    "overwrite_untracked": "It overwrites a file that git does not track: its content would be lost.",
    "overwrite_unknown": "It writes to a place that cannot be told from the command.",
    "destroy_content": "It destroys the content of files for good.",
    "permissions": "It changes owners or permissions of whole folders.",
    "disk": "It writes to a device, a partition or a file system.",
    # git
    "git_discard": "It throws away changes that are not committed.",
    "git_history": "It removes commits or references from the repository.",
    "git_push": "It sends commits to another repository.",
    "git_force_push": "It overwrites the history of another repository.",
    "git_configuration": "It makes git run programs, or changes the configuration of the whole machine.",
    # privilege, system
    "privilege": "It runs something as another user, or asks for a password.",
    "system": "It changes the system: services, schedules, accounts, mounts or power.",
    "kill": "It ends processes that it did not start.",
    "container": "It uses a container or cluster, which reaches beyond the workspace.",
    # code from elsewhere
    "piped_code": "It hands a text to an interpreter that cannot be told from the command.",
    "remote_code": "It runs what it fetched from the network.",
    "unknown_command": "What it runs cannot be told from the command.",
    "unknown_program": "It runs a program that nobody here knows, so what it does cannot be told.",
    "loaded_code": "It makes programs load code from outside the workspace.",
    "hidden_code": "It runs code that is put together so that it cannot be told from the command.",
    # packages
    "install_untrusted": "It installs from a source that is not the usual index or the project itself.",
    "install_unnamed": "It installs a package that the plan does not name.",
    "run_unnamed": "It fetches and runs a package that the plan does not name.",
    "publish": "It publishes something for others.",
    # databases
    "database": "It destroys what a database holds.",
    # network
    "network": "It connects to a host that the plan does not name.",
    "upload": "It sends files or data away.",
    # secrets
    "secret_file": "It reads a file that holds secrets.",
    "secret_variable": "It uses a variable that looks like a secret.",
    "environment": "It prints the whole environment, secrets included.",
    # the role
    "forbidden": "This task leaves it to the runtime: it builds and tests what you hand in.",
    # the text itself
    "unparseable": "It could not be read.",
}
