def landscape_plot(): pass
