"No conda: the Python that started Julia is the one to use."
module CondaPkg

backend() = :Null

end
