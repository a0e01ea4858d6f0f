"""Brain MRI, from scan to genomics: the small package under the notebooks."""
