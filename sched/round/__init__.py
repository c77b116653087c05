"""What a round is made of: admission, priorities, choice, assignment, progress, and when there is no further one."""
