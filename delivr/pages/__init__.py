"""What all pages share: statuses, icons, times, pagination, fragments that refresh themselves."""
